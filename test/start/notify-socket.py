"""Receives what sd_notify(3) sends to the socket that is named, and prints each message on a line."""

import socket
import sys

receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind(sys.argv[1])
print("listening", flush=True)
while True:
    for line in receiver.recv(4096).decode().splitlines():
        print(line, flush=True)
