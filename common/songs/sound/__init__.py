"""From notes to sound: sampled instruments, synthesised drums, and the singer."""
