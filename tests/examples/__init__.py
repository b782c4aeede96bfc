"""Tests of the example networks, of the scripts that made them and of the package data of the demo."""
