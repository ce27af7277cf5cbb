import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__, submod_attrs={"_average": ["moving_average"], "_median": ["median"]}
)
