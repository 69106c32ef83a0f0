"""The languages that clients speak on a websocket, on top of the messages they share."""
