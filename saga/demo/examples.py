"""Inputs of the reference processes, as a caller in any language would write them."""

from typing import Any

import msgspec


def order(order_id: str, *, country: str = "NL", customer: str = "ada") -> bytes:
    """An order of two pieces for 42.00."""
    return _written(
        {
            "order_id": order_id,
            "customer": customer,
            "email": f"{customer}@example.org",
            "address": {"name": customer.title(), "street": "Kade 7", "city": "Delft", "country": country},
            "lines": [{"sku": "sku-7", "unit_count": 2}],
            "total": "42.00",
        }
    )


def customer(customer_id: str, *, region: str = "eu-west", name: str = "ada") -> bytes:
    """Somebody who pays 99.00 for a machine and a mailbox."""
    return _written(
        {
            "customer_id": customer_id,
            "name": name,
            "email": f"{name}@example.org",
            "mailbox": name,
            "region": region,
            "fee": "99.00",
        }
    )


def hire(employee_id: str, *, site: str = "delft", photo: str = "photos/ada.jpg") -> bytes:
    """Somebody new, for whom bo asks privileges that somebody else has to approve."""
    return _written(
        {
            "employee_id": employee_id,
            "name": "Ada Jansen",
            "login": "ada",
            "email": "ada@example.org",
            "site": site,
            "photo": photo,
            "privileges": ["mail", "vpn", "wiki"],
            "requested_by": "bo",
        }
    )


def lead(lead_id: str, *, company: str = "Bakery Noord") -> bytes:
    """Somebody at a company whom bo wants to write to."""
    return _written(
        {
            "lead_id": lead_id,
            "company": company,
            "name": "Ann",
            "email": f"{lead_id}@example.org",
            "owner": "bo",
        }
    )


def _written(value: dict[str, Any]) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2)
