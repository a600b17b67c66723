"""HR: the definitions of an onboarding. It is no participant: it only says what is to be done."""
