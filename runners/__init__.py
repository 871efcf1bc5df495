"""What launches a run: recipe, stages, lanes, engines and the keeper. No Textual."""
