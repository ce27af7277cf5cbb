from ..rules import __name__ as rules_name

bottom = rules_name
