"""The Compare tab: one prompt, several sizes, side by side. The views stand in `gpt2.ui`."""
