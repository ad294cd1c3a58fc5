"""What is on the page, and what happens on a click."""
