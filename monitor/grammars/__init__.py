"""What single lines of trainers' logs say, one module a family of trainers. Pure.

The rule: a line is foreign bytes; what does not read exactly as its trainer writes it says nothing.
"""
