"""What is measured: each knows how to be brought in, started, asked and stopped."""
