"""A model for other programs: what it takes to score a request, in formats that are not this project's own.

    Outgoing --tensors--> safetensors      --javascript--> one ES module      --graph--> ONNX

Values in, bytes out: it refuses to know files, where a model was found, jax and the network.
"""
