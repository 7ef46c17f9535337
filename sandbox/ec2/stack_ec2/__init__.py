"""An EC2 endpoint on one machine: the moto server, made as strict as EC2, with a real host behind each instance.

moto keeps EC2's records. This package adds what a tool that talks to EC2 relies on and moto leaves out (client
tokens, states that take time, dependencies between objects, limits), keeps all addresses inside one private
network, and boots a Linux system for every instance.
"""
