"""The shell: async steps that take what is there, ask the core, commit, publish and acknowledge. No vendor library."""
