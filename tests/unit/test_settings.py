"""Settings: flag, then environment, then file, then default; each says where it came from."""

from pathlib import Path

import pytest

from saga.settings import Settings, SettingsError, approvers_as_text, load, masked


def source_of(name: str, *arguments: object, **given: object) -> tuple[str, str]:
    _, origins = load(*arguments, **given)  # type: ignore[arg-type]  # the test's own
    return next((origin.value, origin.source) for origin in origins if origin.name == name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file with a profile."""
    path = tmp_path / "saga.toml"
    path.write_text('log_level = "debug"\nprocesses = 2\n[profile.staging]\nlog_level = "info"\n')
    return path


def test_defaults(tmp_path: Path) -> None:
    """Nothing given, no file: every field has its default and says so."""
    settings, origins = load({"SAGA_CONFIG": str(tmp_path / "none.toml")}, {})
    assert settings == Settings()
    assert {origin.source for origin in origins} == {"default"}
    assert {origin.name for origin in origins} == set(Settings.__struct_fields__)


def test_each_source_comes_before_the_next(file: Path) -> None:
    """Flag, environment, profile, file, default."""
    environment = {"SAGA_LOG_LEVEL": "error"}
    assert source_of("log_level", environment, {"log_level": "warning"}, file=file) == ("warning", "flag")
    assert source_of("log_level", environment, {}, file=file) == ("error", "environment")
    assert source_of("log_level", {}, {}, file=file, profile="staging")[0] == "info"
    assert source_of("log_level", {"SAGA_PROFILE": "staging"}, {}, file=file)[1] == f"{file} [profile.staging]"
    assert source_of("log_level", {}, {}, file=file) == ("debug", str(file))
    assert source_of("processes", {"SAGA_CONFIG": str(file)}, {}) == ("2", str(file))


def test_values_are_converted(tmp_path: Path) -> None:
    """Numbers and lists from text; a file is in its own types."""
    path = tmp_path / "saga.toml"
    path.write_text('gateways = ["a", "b"]\n')
    settings, _ = load({"SAGA_PROCESSES": "3", "SAGA_MAX_IN_FLIGHT": "7"}, {}, file=path)
    assert (settings.processes, settings.max_in_flight, settings.gateways) == (3, 7, ("a", "b"))
    settings, _ = load({"SAGA_GATEWAYS": "c,d,"}, {}, file=path)
    assert settings.gateways == ("c", "d")


def test_secrets_in_files(tmp_path: Path) -> None:
    """`SAGA_AMQP_FILE` names a file; the variable itself comes first."""
    secret = tmp_path / "amqp"
    secret.write_text("amqp://shop:geheim@broker/\n")
    config = {"SAGA_CONFIG": str(tmp_path / "none.toml")}
    settings, origins = load({**config, "SAGA_AMQP_FILE": str(secret)}, {})
    assert settings.amqp == "amqp://shop:geheim@broker/"
    assert "geheim" not in repr(origins)
    settings, _ = load({**config, "SAGA_AMQP_FILE": str(secret), "SAGA_AMQP": "amqp://b/"}, {})
    assert settings.amqp == "amqp://b/"


@pytest.mark.parametrize(
    ("environment", "text", "said"),
    [
        ({}, "procesess = 3", "saga.toml, is no setting. Fix: one of amqp"),
        ({}, "processes = 'many'", "processes"),
        ({"SAGA_PROCESSES": "many"}, "", "processes"),
        ({}, "processes = ", "saga.toml cannot be read"),
        ({"SAGA_AMQP_FILE": "/nowhere/at/all"}, "", "SAGA_AMQP_FILE names /nowhere/at/all"),
        ({"SAGA_PROFILE": "live"}, "[profile.staging]", "no [profile.live]; it has: staging"),
        ({"SAGA_PROFILE": "live"}, "", "it has: none"),
        ({}, "profile = 7", "profile"),
        ({"SAGA_PROCESSES": "0"}, "", "processes"),
        (
            {"SAGA_LOG_LEVEL": "loud"},
            "",
            "log_level, from environment: Invalid enum value 'loud'. Fix: one of debug, info",
        ),
        ({"SAGA_LOG_FORMAT": "xml"}, "", "log_format"),
        ({"SAGA_AMPQ": "amqp://b/"}, "", "SAGA_AMPQ"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, environment: dict[str, str], text: str, said: str) -> None:
    """With where it stands and what to do; never a traceback."""
    path = tmp_path / "saga.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(environment, {}, file=path)
    assert said in str(caught.value)


def test_a_missing_file_that_was_asked_for(tmp_path: Path) -> None:
    """Asked for by name or by profile it must be there; the default file need not."""
    with pytest.raises(SettingsError, match="there is no"):
        load({}, {}, file=tmp_path / "none.toml")
    with pytest.raises(SettingsError, match="there is no"):
        load({"SAGA_CONFIG": str(tmp_path / "none.toml")}, {}, profile="staging")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("amqp://a:geheim@h:1/v", "amqp://a:***@h:1/v"),
        ("amqp://a:ge@heim@h/v", "amqp://a:***@h/v"),
        ("amqp://a@h/v", "amqp://a@h/v"),
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("plain", "plain"),
        ("postgres://h/d?user=a&password=geheim", "postgres://h/d?user=a&password=***"),
        ("postgres://h/d?password=geheim&user=a", "postgres://h/d?password=***&user=a"),
    ],
)
def test_passwords_are_masked(url: str, shown: str) -> None:
    """Wherever they stand in a url."""
    assert masked(url) == shown


def test_what_goes_to_a_backend(tmp_path: Path) -> None:
    """Shares are checked where they are read, and a vendor's key is shown to nobody."""
    config = {"SAGA_CONFIG": str(tmp_path / "none.toml")}
    settings, origins = load({**config, "SAGA_OTLP_HEADERS": "x-key=geheim", "SAGA_TRACE_SAMPLING": "order=0.5"}, {})
    assert settings.otlp_headers == ("x-key=geheim",)
    assert "geheim" not in repr(origins)
    with pytest.raises(SettingsError, match=r"trace_sampling, from environment: 'order' is no share\. Fix:"):
        load({**config, "SAGA_TRACE_SAMPLING": "order"}, {})


def test_approvers_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    """A table of people and their roles; one variable holds the same."""
    path = tmp_path / "saga.toml"
    path.write_text('[approvers]\nada = ["editor", "head"]\n"bo@example.org" = ["editor"]\n')
    settings, _ = load({}, {}, file=path)
    assert settings.approvers == {"ada": ("editor", "head"), "bo@example.org": ("editor",)}
    text = approvers_as_text(settings.approvers)
    assert text == "ada=editor+head,bo@example.org=editor"
    assert load({"SAGA_APPROVERS": text}, {})[0].approvers == settings.approvers


@pytest.mark.parametrize(
    ("text", "says"), [("ada", "'ada' names no roles"), ("ada=", "regex"), ("ada=the editor", "regex")]
)
def test_approvers_that_cannot_be_read(text: str, says: str) -> None:
    """The setting and what is wrong with it."""
    with pytest.raises(SettingsError, match=f"(?i)approvers.*{says}"):
        load({"SAGA_APPROVERS": text}, {})
