CONVENTION = {"ix": "ix_%(column_0_label)s", "pk": "pk_%(table_name)s"}
