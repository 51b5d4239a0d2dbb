"""What leaves this process while it listens: Lab Streaming Layer, Open Sound Control, WebSocket. Off unless asked for."""
