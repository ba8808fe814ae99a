"""The company's components: `type: company_components.CompanyNotebook` in a defs.yaml."""

from dagbook.front_door import offer

__getattr__, __dir__ = offer(__name__, {"CompanyNotebook": "company_components.notebook"})
