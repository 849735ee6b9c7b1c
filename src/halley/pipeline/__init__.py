"""The data path, read in this order: call, admit, choose, reserve, send, settle; then task, for what comes later."""
