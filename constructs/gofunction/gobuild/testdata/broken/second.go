package main

func elsewhere() int { return nowhere }
