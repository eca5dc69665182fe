"""What keeps two machines apart, found hop by hop. docs/doctor.md says what each hop is."""
