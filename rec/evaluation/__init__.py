"""How good are the lists? Test, then learn, through the code that serves: `rec evaluate`."""
