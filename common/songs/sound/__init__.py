"""Render notes: sampled instruments, synthesised drums, and synthetic or recorded voices."""
