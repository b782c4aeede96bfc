"""A small ``.nnet`` file as text."""


def nnet_text(**changes):
    """2 inputs, 3 units, 1 output; each named line can be given in another form."""
    lines = {
        "comment": "// any text",
        "counts": "2,2,1,3,",
        "sizes": "2,3,1,",
        "flag": "0,",
        "minima": "-10.0,-10.0,",
        "maxima": "10.0,10.0,",
        "means": "1.0,2.0,0.5,",
        "ranges": "2.0,4.0,8.0,",
        "weights1": "1.0,2.0,\n-1.0,0.0,\n0.5,-3e0,",
        "biases1": "0.0,\n0.25,\n-1.0,",
        "weights2": "1.0,-2.0,4.0,",
        "biases2": "0.125,",
    }
    return "\n".join((lines | changes).values()) + "\n"
