"""What the process stands on: settings, threads, device, memory, and where the assets are."""
