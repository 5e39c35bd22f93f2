"""Colours that people tell apart who see colours differently, on light and on dark paper.

Source: Okabe and Ito (2008), "Color Universal Design".
"""

BLUE, ORANGE, GREEN, PURPLE, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00"
GREY = "#808080"
