"""The launch form without its pixels: what is chosen, what that means, and who looks it up."""
