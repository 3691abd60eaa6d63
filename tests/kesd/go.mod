module kes/tests/kesd

go 1.26.0
