"""What visitors ask for, and how they get it."""
