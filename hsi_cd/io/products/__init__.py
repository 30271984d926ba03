"""What archives deliver: each product read as its makers describe it, recognised by its content."""

from hsi_cd.io.products.recognition import PRODUCTS, FoundProduct, ProductReader, find_product

__all__ = ["PRODUCTS", "FoundProduct", "ProductReader", "find_product"]
