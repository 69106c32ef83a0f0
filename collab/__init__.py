"""Live editing: wire dialects, sessions, rooms, presence, the hub and the websocket edge."""
