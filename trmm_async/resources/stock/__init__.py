"""What only a stock server has: one file a noun, with its Structs, its endpoints and its methods.

On a gateway each of these methods is an `UnsupportedError`. A new noun is a file here, and a line in
`client`; a new endpoint of a noun is a declaration and a method in its file.
"""
