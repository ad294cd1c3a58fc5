"""Keeping the page up for many people: what is told about it, and where else engines may run."""
