// placeholder while the tests are written
int main(void) { return 0; }
