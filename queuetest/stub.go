package queuetest

var twilight []scenario
var lines []scenario
var cancels []scenario
var budgets []scenario
var permits []scenario
var limits []scenario
var refusals []scenario
var helper []scenario
