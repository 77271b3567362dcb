use super::*;
use std::process::Command;
use tempfile::TempDir;

/// What every library of Rust's is like: it formats, it panics, it unwinds.
const LIBRARY: &str = r#"
fn guarded(f: fn(i32) -> i32, x: i32) -> i32 {
    std::panic::catch_unwind(|| f(x)).unwrap_or(-1)
}

#[unsafe(no_mangle)]
pub extern "C" fn NAME_successor(x: i32) -> i32 {
    guarded(|x| format!("{x}").parse::<i32>().map_or(0, |x| x + 1), x)
}

#[unsafe(no_mangle)]
pub extern "C" fn NAME_panic(x: i32) -> i32 {
    guarded(|x| if x > 0 { std::panic::resume_unwind(Box::new(x)) } else { x }, x)
}

#[unsafe(no_mangle)]
pub extern "C" fn NAME_staged_panic(x: i32) -> i32 {
    NAME_panic(x) + 100
}

#[unsafe(no_mangle)]
pub extern "C" fn NAME_internal() {}
"#;

const PROGRAM: &str = r#"
#include <stdio.h>

int libsoccr_successor(int), libsoccr_panic(int), libsoccr_staged_panic(int);
int other_successor(int), other_panic(int);

int main(void)
{
	printf("%d %d %d ", libsoccr_successor(1), libsoccr_panic(2), libsoccr_staged_panic(0));
	printf("%d %d\n", other_successor(3), other_panic(4));
	return 0;
}
"#;

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

/// Builds LIBRARY as a release does: in one piece with `std`.
fn library(folder: &TempDir, name: &str) -> PathBuf {
    let source = folder.path().join(format!("{name}.rs"));
    fs::write(&source, LIBRARY.replace("NAME", name)).unwrap();
    let library = folder.path().join(format!("lib{name}.a"));
    let mut rustc = Command::new("rustc");
    rustc.args([
        "--edition=2024",
        "--crate-type=staticlib",
        "-Clto=fat",
        "-Ccodegen-units=1",
        "-Copt-level=s",
    ]);
    archive::run(rustc.arg("-o").args([&library, &source])).unwrap();
    library
}

fn compile(folder: &TempDir, source: &str, libraries: &[&Path]) -> io::Result<String> {
    let (file, program) = (
        folder.path().join("program.c"),
        folder.path().join("program"),
    );
    fs::write(&file, source)?;
    archive::run(
        archive::tool("cc")
            .arg("-o")
            .args([&program, &file])
            .args(libraries),
    )?;
    archive::run(&mut Command::new(program))
}

#[test]
fn a_packed_library_has_no_names_but_its_own_and_links_beside_another_one_of_rust() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, other) = (library(&folder, "libsoccr"), library(&folder, "other"));
    // What it is for: these two collide as they are.
    let error = compile(&folder, PROGRAM, &[&ours, &other])
        .unwrap_err()
        .to_string();
    assert!(error.contains("rust_eh_personality"), "{error}");

    let symbols = names(&[
        "libsoccr_successor",
        "libsoccr_panic",
        "libsoccr_staged_panic",
    ]);
    let (object, packed) = (
        folder.path().join("soccr.o"),
        folder.path().join("libpacked.a"),
    );
    archive::pack(&ours, &symbols, &object, &packed).unwrap();
    assert_eq!(archive::exported(&packed).unwrap(), symbols);
    assert_eq!(
        compile(&folder, PROGRAM, &[&packed, &other]).unwrap(),
        "2 -1 100 4 -1\n"
    );

    // A program, or an archive before it, has a name of today's that the staged interface had before.
    let redefines = format!("{PROGRAM}\nint libsoccr_panic(int x) {{ return 10 * x; }}\n");
    assert_eq!(
        compile(&folder, &redefines, &[&packed, &other]).unwrap(),
        "2 20 100 4 -1\n"
    );
    let redefines = format!("{PROGRAM}\nint libsoccr_successor(int x) {{ return x; }}\n");
    let error = compile(&folder, &redefines, &[&packed, &other])
        .unwrap_err()
        .to_string();
    assert!(error.contains("multiple definition"), "{error}");
}

#[test]
fn a_symbol_that_is_not_there_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("one.c");
    let (object, library) = (folder.path().join("one.o"), folder.path().join("libone.a"));
    fs::write(&source, "int one(void) { return 1; }\n").unwrap();
    archive::run(
        archive::tool("cc")
            .arg("-c")
            .arg("-o")
            .args([&object, &source]),
    )
    .unwrap();
    archive::collect(&[&object], &library).unwrap();
    let to = folder.path().join("libto.a");
    let error = archive::pack(&library, &names(&["one", "two"]), &object, &to)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains(r#"has the symbols {"one"}, and not {"one", "two"}"#),
        "{error}"
    );
}

#[test]
fn what_cargo_has_built_is_what_it_says() {
    let messages = [
        r#"{"reason":"compiler-artifact","target":{"name":"soccr"},"filenames":["/t/libsoccr.rlib"]}"#,
        r#"{"reason":"compiler-message","message":{"message":"unused","rendered":"warning: unused\n"}}"#,
        r#"{"reason":"compiler-message","message":{"message":"native-static-libs: -lgcc_s -lc","rendered":"note: …"}}"#,
        r#"{"reason":"compiler-artifact","target":{"name":"soccr_capi"},"filenames":["/t/x.a","/t/x.so"]}"#,
    ];
    let built = Built {
        archive: "/t/x.a".into(),
        shared: "/t/x.so".into(),
        system: "-lgcc_s -lc".to_owned(),
    };
    assert_eq!(
        read(&messages.join("\n")),
        (built, "warning: unused\n".to_owned())
    );
}

#[test]
fn a_file_is_replaced_and_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("from"), folder.path().join("lib/to"));
    for content in ["old", "new"] {
        fs::write(&from, content).unwrap();
        let mapped = File::open(&to);
        let done = place(&from, to.clone(), 0o755).unwrap();
        assert_eq!(done, format!("{} (3 bytes)", to.display()));
        if let Ok(mapped) = mapped {
            assert_eq!(io::read_to_string(mapped).unwrap(), "old");
        }
        assert_eq!(fs::read_to_string(&to).unwrap(), content);
        assert_eq!(
            fs::metadata(&to).unwrap().permissions().mode() & 0o777,
            0o755
        );
    }
    let at = folder.path().join("lib/link");
    for target in ["from", "to"] {
        assert_eq!(
            link(target, at.clone()).unwrap(),
            format!("{} -> {target}", at.display())
        );
        assert_eq!(fs::read_link(&at).unwrap(), Path::new(target));
    }
    assert_eq!(fs::read_dir(folder.path().join("lib")).unwrap().count(), 2);
}
