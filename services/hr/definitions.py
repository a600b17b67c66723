"""The `hr-onboarding` saga: access as a saga of its own with an approval in it, a desk, a badge, and a welcome."""

from datetime import timedelta

from contracts.accounts import CloseAccount, CreateAccount, GrantPrivileges, RevokePrivileges
from contracts.hr import AccessReady, AccessRequest, Hire, Onboarded
from contracts.notifications import SendMail
from contracts.workplace import AssignDesk, IssueBadge, ReleaseDesk
from saga import On, Saga, define, text
from saga.define import Escalate


@define("access", version=1, deadline=timedelta(days=8))
def access(s: Saga, asked: AccessRequest) -> AccessReady:
    """An account, and the privileges somebody in security said yes to; a no undoes the account."""
    s.key(asked.employee_id)
    s.requester(asked.requested_by)

    opened = s.step(
        "account",
        CreateAccount(employee_id=asked.employee_id, login=asked.login),
        undo=CloseAccount(employee_id=asked.employee_id),
    )
    approved = s.approval(
        "approve",
        GrantPrivileges(employee_id=asked.employee_id, privileges=asked.privileges),
        roles=["it-security"],
        exclude_requester=True,
        summary=text("Privileges of {} ({})", asked.name, asked.login),
        edit=lambda grant: grant.privileges,
        expires=timedelta(days=3),
        on_expiry=Escalate(to=["head-of-it"]),
    )
    granted = s.step("privileges", approved.subject, undo=RevokePrivileges(employee_id=asked.employee_id))
    return AccessReady(account_id=opened.account_id, privileges=granted.privileges, approved_by=approved.approver)


@define("hr-onboarding", version=1, deadline=timedelta(days=10))
def onboarding(s: Saga, hire: Hire) -> Onboarded:
    """Until the badge is printed everything can be undone; access, also when it is complete, as one unit."""
    s.key(hire.employee_id)
    s.requester(hire.requested_by)
    s.tag(site=hire.site)

    ready = s.child(
        "access",
        access,
        AccessRequest(
            employee_id=hire.employee_id,
            name=hire.name,
            login=hire.login,
            privileges=hire.privileges,
            requested_by=hire.requested_by,
        ),
        undo=On.CANCEL,
    )
    desk = s.step(
        "desk",
        AssignDesk(employee_id=hire.employee_id, site=hire.site),
        undo=ReleaseDesk(employee_id=hire.employee_id),
    )
    printed = s.pivot("badge", IssueBadge(employee_id=hire.employee_id, photo=hire.photo))
    s.retryable(
        "welcome",
        SendMail(to=hire.email, subject=text("Welcome, {}", hire.name), reference=hire.employee_id),
        timeout=timedelta(minutes=5),  # notifications tries for two minutes before it gives up
    )
    return Onboarded(
        account_id=ready.account_id,
        privileges=ready.privileges,
        approved_by=ready.approved_by,
        desk_id=desk.desk_id,
        badge_id=printed.badge_id,
    )
