//! Files and directories. Below an open [`Dir`] every path is walked by handle, so that no symbolic link is
//! followed.

mod dir;
mod file_system;
mod made_by_containers;
mod mounts;
mod named;
mod scratch;
mod stamp;
mod survey;
mod umask;
mod write;

pub use dir::{Content, Dir, Found, is_system_error};
pub use file_system::SharedFileSystem;
pub use made_by_containers::{left_at, of_another_user, remove_without_files};
pub use mounts::mounts_below;
pub use named::{
    canonical, exists, free_space, is_directory, is_directory_there, is_kept, is_link, is_low, is_mount,
    may_be_directory, modified, mount_of, place_of, read_named, read_unlinked, real, replace_named, room_for,
    touch, was_removed,
};
pub use scratch::Scratch;
pub use stamp::Stamp;
pub use survey::{left_out, survey};
pub use umask::{Umask, set_umask};
pub use write::Missing;
