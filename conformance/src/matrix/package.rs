//! Packages of Debian: what of a kernel is in them.

use super::error::{Doing, Error};
use super::unpack::unpacked;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Of a tree of modules, what can be of use in a network: the rest would only be looked through.
const KEPT: [&str; 5] = [
    "/kernel/net/",
    "/kernel/lib/",
    "/kernel/crypto/",
    "/kernel/arch/x86/crypto/",
    "/kernel/drivers/net/",
];

/// Unpacks what is needed of a package into a folder of its own below `folder`, unless it is there; returns that folder.
pub(super) fn unpack(package: &Path, folder: &Path) -> Result<PathBuf, Error> {
    let doing = || format!("unpack the package {}", package.display());
    let own = folder.join(name_of(package).doing(doing)?);
    if own.exists() {
        return Ok(own);
    }
    fs::create_dir_all(folder).doing(doing)?;
    // What is cut off half-way is no folder of that name.
    let half = tempfile::tempdir_in(folder).doing(doing)?;
    let mut archive = ar::Archive::new(File::open(package).doing(doing)?);
    while let Some(entry) = archive.next_entry() {
        let entry = entry.doing(doing)?;
        let name = String::from_utf8_lossy(entry.header().identifier()).into_owned();
        if name.starts_with("data.tar") {
            let data = unpacked(&name, entry).doing(doing)?;
            unpack_data(data, half.path()).doing(doing)?;
            return match fs::rename(half.path(), &own) {
                // Somebody else was faster.
                Err(_) if own.exists() => Ok(own),
                other => other.map(|()| own).doing(doing),
            };
        }
    }
    Err(Error::Unfit {
        doing: doing(),
        what: "it has no data.tar".to_owned(),
        help: "give a package of a kernel: linux-image-…, linux-binary-… or linux-modules-…",
    })
}

/// Another name for each file, also where one was built anew.
fn name_of(package: &Path) -> io::Result<String> {
    let metadata = fs::metadata(package)?;
    let name = package.file_stem().unwrap_or_default().to_string_lossy();
    Ok(format!("{name}-{}-{}", metadata.len(), metadata.mtime()))
}

fn unpack_data(data: impl Read, folder: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(data);
    archive.set_preserve_permissions(false);
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.to_string_lossy().into_owned();
        let is_image = path
            .rsplit('/')
            .next()
            .is_some_and(|it| it.starts_with("vmlinuz"));
        let is_module = path.contains(".ko") && KEPT.iter().any(|it| path.contains(it));
        if entry.header().entry_type().is_file() && (is_image || is_module) {
            // Refuses paths that lead out of the folder.
            entry.unpack_in(folder)?;
        }
    }
    Ok(())
}

/// The kernels in folders that packages were unpacked into: image, and folder of modules.
pub(super) fn kernels(folders: &[PathBuf]) -> Result<Vec<(PathBuf, Option<PathBuf>)>, Error> {
    let all = |below: &str| {
        let found = folders.iter().map(|folder| entries(&folder.join(below)));
        Ok::<_, Error>(found.collect::<Result<Vec<_>, _>>()?.concat())
    };
    let mut trees = BTreeMap::new();
    for tree in [all("lib/modules")?, all("usr/lib/modules")?].concat() {
        if let Some(release) = tree.file_name() {
            let release = release.to_string_lossy().into_owned();
            trees.entry(release).or_insert_with(Vec::new).push(tree);
        }
    }
    let mut images = BTreeMap::new();
    for image in all("boot")? {
        let name = image
            .file_name()
            .map(|it| it.to_string_lossy().into_owned());
        if let Some(release) = name.as_deref().and_then(|it| it.strip_prefix("vmlinuz-")) {
            images.insert(release.to_owned(), image.clone());
        }
    }
    // Since 6.19 the image is in one package and the modules are in another.
    let mut kernels = Vec::new();
    for (release, trees) in &trees {
        let with = |name: &str| trees.iter().find(|tree| tree.join(name).exists());
        if let Some(tree) = with("vmlinuz") {
            images.insert(release.clone(), tree.join("vmlinuz"));
        }
        if let Some(image) = images.remove(release) {
            kernels.push((image, with("kernel").cloned()));
        }
    }
    kernels.extend(images.into_values().map(|image| (image, None)));
    Ok(kernels)
}

/// None where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let doing = || format!("read the folder {}", folder.display());
    let entries = fs::read_dir(folder).doing(doing)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>().doing(doing)?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_found_with_its_modules_in_whatever_package_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path
        };
        let old = file("one/boot/vmlinuz-5.10");
        file("one/lib/modules/5.10/kernel/net/a.ko");
        let new = file("two/usr/lib/modules/7.3/vmlinuz");
        file("three/usr/lib/modules/7.3/kernel/net/a.ko.xz");
        let alone = file("four/boot/vmlinuz-7.0");
        let folders = ["one", "two", "three", "four"].map(|name| folder.path().join(name));
        let tree = |path: &str| Some(folder.path().join(path));
        let expected = [
            (old, tree("one/lib/modules/5.10")),
            (new, tree("three/usr/lib/modules/7.3")),
            (alone, None),
        ];
        assert_eq!(kernels(&folders).unwrap(), expected);
    }

    #[test]
    fn what_is_no_package_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let package = folder.path().join("x.deb");
        let unpacked = folder.path().join("unpacked");
        for bytes in [&b"no archive"[..], b"!<arch>\n"] {
            fs::write(&package, bytes).unwrap();
            let error = unpack(&package, &unpacked).unwrap_err().to_string();
            assert!(error.contains("x.deb"), "{error}");
            assert_eq!(fs::read_dir(&unpacked).unwrap().count(), 0);
        }
    }
}
