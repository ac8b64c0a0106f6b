from machines import broker, shop

__all__ = ["broker", "shop"]
