# Shortens what `go test -v` prints: of a package that passes, its result, what the independent judges found, and what
# was skipped and why; of one that fails, everything.

/ (compared|judged|agree) / && /_test\.go:[0-9]+:/ {
	judged[++judges] = $0
}

/^ *[a-z0-9_]+_test\.go:[0-9]+:/ { said = $0 }

/^ *--- SKIP:/ {
	skipped[++skips] = "skipped: " $3 ":" substr(said, index(said, ": ") + 1)
}

{ lines[++count] = $0 }

# The last line of a package.
/^(ok  |FAIL)\t/ || /^\?   \t/ {
	if ($1 == "FAIL") {
		for (i = 1; i <= count; i++) print lines[i]
	} else if ($1 == "ok") {
		print
		for (i = 1; i <= judges; i++) print "    " substr(judged[i], index(judged[i], ": ") + 2)
		for (i = 1; i <= skips; i++) print "    " skipped[i]
	}
	count = judges = skips = 0
	fflush()
}

# What comes after the last package, such as the result of a command that could not be built.
END { for (i = 1; i <= count; i++) print lines[i] }
