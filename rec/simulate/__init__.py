"""Worlds whose truth is known, to try strategies in before anybody sees them. Pure and seeded.

arms      strategies as arms whose mean reward changes half way: what the bandit's regret is
market    people with hidden interests that drift and jump, who look at lists from the top and tire
players   who makes the lists: greedy, epsilon-greedy, adaptive, random
replay    the same ways to choose against a recorded stream, where what came next is known
closed    the loop: the code that serves makes lists, shoppers act on them, the counters and the gate learn
"""
