"""What Gradio does otherwise than we need."""
