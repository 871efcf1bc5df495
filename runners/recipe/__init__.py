"""What to train: the recipe, its file, its data and the checks on both."""
