"""The library (docs/library.md): `raybundle` loads each part when it is first asked for."""
