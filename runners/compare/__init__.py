"""Two or more runs beside each other: whether that is fair, and what came of them."""
