import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submodules=["stats"],
    submod_attrs={
        "filters": ["moving_average", "median"],
        "reading": ["read"],
    },
)
