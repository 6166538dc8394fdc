"""What asv runs at every commit; benchmarks/README.md says how. Nothing here reaches for the working tree.

asv starts a process for every case. Modules import gradsim only inside functions, and most measure everything they have
in one `setup_cache`, turn by turn; a case then only reads its number.
"""
