module kes/tests/soak

go 1.26.0

require kes/tests/kesd v0.0.0

replace kes/tests/kesd => ../kesd
