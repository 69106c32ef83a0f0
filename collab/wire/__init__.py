"""The bytes that Yjs clients speak, without sockets, clock or documents."""
