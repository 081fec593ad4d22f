"""Whether the peers' environment is whole: every tool can be imported."""

from importlib import import_module

from benchmarks.peers.jobs import PEERS


def main() -> None:
    for tool in PEERS:
        import_module(f"benchmarks.peers.tools.{tool}")


if __name__ == "__main__":
    main()
