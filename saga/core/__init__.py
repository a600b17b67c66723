"""The pure core: a saga is a definition and a history; state is a fold; nothing here touches the world."""
